-- Records a migration, in the same transaction as its statements and before them.
-- $1 integer: version. $2 text: name. $3 text: checksum. No rows. The primary key refuses a second migrator that came
-- around the lock.
INSERT INTO schema_migrations (version, name, checksum)
VALUES ($1, $2, $3)
