"""Bytes to chunks: content-defined cutting and what to reuse. Pure."""
