-- The two roles and the database of the service itself: DATABASE_OWNER_URL and DATABASE_URL.
-- Run as a superuser: psql -f deploy/rights/service.sql
-- Then set passwords: \password rdev_owner and \password rdev_service

-- It owns the tables, and only migrations use it.
CREATE ROLE rdev_owner LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB;

-- The service works as this role. "rdev-infra store migrate" gives it its rights on the tables: to the
-- audit log it may only append.
CREATE ROLE rdev_service LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB;

CREATE DATABASE rdev_infra OWNER rdev_owner;
REVOKE CONNECT, TEMPORARY ON DATABASE rdev_infra FROM PUBLIC;
GRANT CONNECT ON DATABASE rdev_infra TO rdev_service;
