-- When the first trace of a job was made, in microseconds; NULL where there is none.
SELECT epoch_us(min(created_at)) AS made FROM traces WHERE job_id = $job
