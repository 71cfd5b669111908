"""Records for tests: one factory per model, every field sensible unless the test says otherwise."""
