"""The project as a whole: the pipeline, the documents, the package, the structure."""
