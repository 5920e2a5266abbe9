"""What version 1 of the API shows and takes: marshmallow schemas."""
