"""policycompiler: from a short workload YAML to a Celery deployment that explains itself."""

__version__ = "0.1.0"
