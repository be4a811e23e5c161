"""`python -m unitd.web`: gevent makes the blocking sockets of the bus client cooperative before anything else is imported."""

from gevent import monkey

monkey.patch_all()

if __name__ == "__main__":
    import sys

    from unitd.web.server import main

    sys.exit(main())
