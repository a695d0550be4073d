#!/bin/sh
# Starts one kind of worker.
set -e
SLOTS=${STUDIO_SLOTS:-4}
case "$1" in
  render)
    exec celery --app studio.primary worker --pool threads --concurrency "$SLOTS" \
      --queues render,studio --hostname render@%h --without-mingle
    ;;
  io)
    exec celery --app studio.light worker --pool gevent --concurrency 100 --queues io --hostname io@%h
    ;;
esac
