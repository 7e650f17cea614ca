SELECT
    cause,
    recipient
FROM email_deliveries
