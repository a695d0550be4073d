"""What Celery and the systems around it do, as data: frozen records, asked by what they can do."""
