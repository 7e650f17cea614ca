-- The periodic tasks of django-celery-beat, with their schedules.
SELECT
    task.name,
    task.task,
    task.args,
    task.kwargs,
    task.headers,
    task.queue,
    task.exchange,
    task.routing_key,
    task.priority,
    task.expires,
    task.expire_seconds,
    task.one_off,
    task.start_time,
    task.enabled,
    task.last_run_at,
    task.date_changed,
    every.every,
    every.period,
    crontab.minute,
    crontab.hour,
    crontab.day_of_week,
    crontab.day_of_month,
    crontab.month_of_year,
    crontab.timezone,
    solar.event,
    solar.latitude,
    solar.longitude,
    clocked.clocked_time
FROM django_celery_beat_periodictask AS task
LEFT JOIN django_celery_beat_intervalschedule AS every ON task.interval_id = every.id
LEFT JOIN django_celery_beat_crontabschedule AS crontab ON task.crontab_id = crontab.id
LEFT JOIN django_celery_beat_solarschedule AS solar ON task.solar_id = solar.id
LEFT JOIN django_celery_beat_clockedschedule AS clocked ON task.clocked_id = clocked.id
ORDER BY task.name
