"""unitd: a systemd-style unit manager for everything that is not PID 1's job."""

__version__ = "0.1.0"
