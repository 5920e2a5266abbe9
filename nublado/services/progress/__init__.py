"""What users are told of their lab, from the request until it is gone."""
