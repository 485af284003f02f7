"""What draws the watermark and the bumpers that the worker puts on every clip."""
