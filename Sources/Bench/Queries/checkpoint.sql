-- Writes out what is dirty, so that no round pays for the one before.
-- Returns nothing. Safe at any time.
CHECKPOINT
