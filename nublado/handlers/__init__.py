"""Flask blueprints, one per group of routes: parse, call a service, dump."""
