"""The device's local database: trees, journal state and records. The only place that speaks SQL on a device."""
