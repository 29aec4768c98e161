"""Keeps everything: Delta tables, the write-ahead ledger, guarded SQL, selection, funnel and export."""
