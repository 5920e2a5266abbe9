"""What version 1 of the API accepts and returns: marshmallow schemas."""
