"""A plain application on RabbitMQ."""
