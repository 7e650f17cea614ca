DROP VIEW workrow.caps, workrow.pauses
