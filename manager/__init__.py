"""Runs units: state machine, warden, logger, notify, survival."""
