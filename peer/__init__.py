"""The peer: the app on each device, which keeps its folders in step with the journal."""
