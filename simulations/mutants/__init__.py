"""Known mistakes, put into the program one at a time: who tests the tests."""
