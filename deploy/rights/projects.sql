-- The role of POSTGRES_ADMIN_URL: it makes a role and a database for each project.
-- Run as a superuser on the server of the projects' databases: psql -f deploy/rights/projects.sql
-- Then set a password: \password rdev_admin

-- CREATEROLE and CREATEDB, and not SUPERUSER. It manages only roles and databases that it made itself.
CREATE ROLE rdev_admin LOGIN NOSUPERUSER NOREPLICATION NOBYPASSRLS CREATEROLE CREATEDB;

-- Projects' roles may connect to their own database alone. The administrator connects to "postgres".
REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO rdev_admin;
