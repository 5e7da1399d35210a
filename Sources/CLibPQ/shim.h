#pragma once
#include <libpq-fe.h>

// libpq names the fields of an error by character literals, which Swift does not import.
enum {
    DIAG_SEVERITY = PG_DIAG_SEVERITY,
    DIAG_SEVERITY_NONLOCALIZED = PG_DIAG_SEVERITY_NONLOCALIZED,
    DIAG_SQLSTATE = PG_DIAG_SQLSTATE,
    DIAG_MESSAGE_PRIMARY = PG_DIAG_MESSAGE_PRIMARY,
    DIAG_CONSTRAINT_NAME = PG_DIAG_CONSTRAINT_NAME,
};
