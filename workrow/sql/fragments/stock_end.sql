-- What a workflow is told of a job that a stock worker has ended with success: nobody knows its result.
'{"type": "workrow.StockWorker", "message": "a stock procrastinate worker ran it, which keeps no result"}'
