"""The behavior of Celery and related systems as data: frozen records with their capabilities."""
