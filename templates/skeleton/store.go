package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// prefix begins every key and channel in Redis. The project may use no others.
const prefix = "{{PROJECT_SLUG}}:"

// The lock keeps two pods that start at once from creating the table twice.
const schema = `
	SELECT pg_advisory_xact_lock(1);
	CREATE TABLE IF NOT EXISTS visits (page text PRIMARY KEY, count bigint NOT NULL)`

// A store keeps data in PostgreSQL, and results for a while in Redis. Both are optional.
type store struct {
	database *pgxpool.Pool // nil without DATABASE_URL
	cache    *redis.Client // nil without REDIS_URL
}

// openStore connects to the servers whose URL is not empty, and creates the table.
func openStore(ctx context.Context, databaseURL, redisURL string) (*store, error) {
	s := &store{}
	if databaseURL != "" {
		pool, err := pgxpool.New(ctx, databaseURL)
		if err != nil {
			return nil, fmt.Errorf("DATABASE_URL: %w", err)
		}
		s.database = pool
		if _, err := pool.Exec(ctx, schema); err != nil {
			s.close()
			return nil, fmt.Errorf("create the table: %w", err)
		}
	}
	if redisURL != "" {
		options, err := redis.ParseURL(redisURL)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		logging.Disable() // it writes lines that are no JSON, about errors that it also returns
		s.cache = redis.NewClient(options)
	}
	return s, nil
}

func (s *store) close() {
	if s.database != nil {
		s.database.Close()
	}
	if s.cache != nil {
		_ = s.cache.Close()
	}
}

// countVisit counts one more visit of the home page, and returns the number of all.
func (s *store) countVisit(ctx context.Context) (string, error) {
	if s.database == nil {
		return "not counted without DATABASE_URL", nil
	}
	var count int64
	err := s.database.QueryRow(ctx, `
		INSERT INTO visits VALUES ($1, 1)
		ON CONFLICT (page) DO UPDATE SET count = visits.count + 1
		RETURNING count`, "/").Scan(&count)
	return strconv.FormatInt(count, 10), err
}

// cached returns the value of a key in Redis. If there is none, it computes one, and keeps that for a
// while.
func (s *store) cached(ctx context.Context, key string, ttl time.Duration, compute func() string) (string, error) {
	if s.cache == nil {
		return compute() + ", not cached without REDIS_URL", nil
	}
	value, err := s.cache.Get(ctx, prefix+key).Result()
	if !errors.Is(err, redis.Nil) {
		return value, err
	}
	value = compute()
	return value, s.cache.Set(ctx, prefix+key, value, ttl).Err()
}
