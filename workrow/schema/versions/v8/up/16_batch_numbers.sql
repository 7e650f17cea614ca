-- Numbers of the members of batches, below 0: whoever claims the job of one knows by it that what it enqueues joins the batch.
CREATE SEQUENCE workrow.batch_numbers AS integer INCREMENT -1 CYCLE
