"""Everything that speaks to Label Studio or reads what it writes."""
