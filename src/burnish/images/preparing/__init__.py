"""From a source as it is to MVTec AD layout with a manifest."""
