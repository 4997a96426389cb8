"""World content as files: networks from elsewhere, and the demo world."""
