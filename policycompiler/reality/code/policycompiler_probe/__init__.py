"""What a Celery app has today: a program for the application's own interpreter.

It needs Python 3.9 and Celery 5.3 or newer, and nothing else. It loads the app as a worker does (the app, its
default modules, finalize) and writes one JSON document. It opens no connection itself, and reports those that
the application opens while it is imported. Values that may be secret never leave the process.

`program.main` begins. The name of this package is long, so that no application has one like it.
"""
