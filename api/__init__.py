"""The REST service: jobs, SQL over the corpus, exports."""
