"""What a record must hold and how its identifier becomes a digest. Pure: nothing here reads or writes."""
