"""The status page: Bottle routes served by gevent, a client of the bus and nothing more."""
