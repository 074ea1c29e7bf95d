-- The role and the database of the stacks' states, for PULUMI_BACKEND_URL=postgres://rdev_states:…@…/rdev_states
-- Run as a superuser: psql -f deploy/rights/states.sql
-- Then set a password: \password rdev_states

-- It owns the table that Pulumi makes.
CREATE ROLE rdev_states LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB;

CREATE DATABASE rdev_states OWNER rdev_states;
REVOKE CONNECT, TEMPORARY ON DATABASE rdev_states FROM PUBLIC;
