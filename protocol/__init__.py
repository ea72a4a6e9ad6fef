"""The words both sides speak: types, bounds, bytes and rules. No I/O, no clock."""
