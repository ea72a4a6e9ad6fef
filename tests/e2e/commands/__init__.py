"""Every command of the console scripts, through the scripts."""
