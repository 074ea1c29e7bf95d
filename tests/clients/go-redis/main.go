// A project's use of Redis by go-redis: connection, pipeline, transaction, pub/sub, stream and lock.
// Redis is named by REDIS_URL and the prefix of its keys by KEY_PREFIX. It prints one line for each
// part that worked, and ends with 1 at the first that did not.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	check("url", err)
	options.ClientName = "go-redis-test"
	client := redis.NewClient(options)
	defer client.Close()
	prefix := os.Getenv("KEY_PREFIX")

	check("connect", client.Ping(ctx).Err())
	check("pipeline", pipeline(ctx, client, prefix+"go"))
	check("pub/sub", pubSub(ctx, client, prefix+"go-news"))
	check("stream", stream(ctx, client, prefix+"go-events"))
	check("lock", lock(ctx, client, prefix+"go-lock"))
}

func pipeline(ctx context.Context, client *redis.Client, key string) error {
	_, err := client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Set(ctx, key, "1", time.Minute)
		pipe.Incr(ctx, key)
		return nil
	})
	if err != nil {
		return err
	}
	return same(client.Get(ctx, key).Val(), "2")
}

func pubSub(ctx context.Context, client *redis.Client, channel string) error {
	subscription := client.Subscribe(ctx, channel)
	defer subscription.Close()
	if _, err := subscription.Receive(ctx); err != nil {
		return err
	}
	if err := client.Publish(ctx, channel, "hello").Err(); err != nil {
		return err
	}
	message, err := subscription.ReceiveMessage(ctx)
	if err != nil {
		return err
	}
	return same(message.Payload, "hello")
}

func stream(ctx context.Context, client *redis.Client, key string) error {
	if err := client.XGroupCreateMkStream(ctx, key, "workers", "0").Err(); err != nil {
		return err
	}
	values := map[string]any{"text": "hello"}
	if err := client.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: values}).Err(); err != nil {
		return err
	}
	read, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: "workers", Consumer: "one", Streams: []string{key, ">"}, Count: 1, Block: time.Second,
	}).Result()
	if err != nil {
		return err
	}
	message := read[0].Messages[0]
	if err := client.XAck(ctx, key, "workers", message.ID).Err(); err != nil {
		return err
	}
	return same(message.Values["text"], "hello")
}

// Takes a lock that others find taken, and gives it back only while it is still its own.
func lock(ctx context.Context, client *redis.Client, key string) error {
	if err := client.SetArgs(ctx, key, "mine", redis.SetArgs{Mode: "NX", TTL: time.Minute}).Err(); err != nil {
		return err
	}
	err := client.SetArgs(ctx, key, "theirs", redis.SetArgs{Mode: "NX", TTL: time.Minute}).Err()
	if !errors.Is(err, redis.Nil) {
		return fmt.Errorf("the lock was taken twice: %w", err)
	}
	return client.Watch(ctx, func(tx *redis.Tx) error {
		if err := same(tx.Get(ctx, key).Val(), "mine"); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			return pipe.Del(ctx, key).Err()
		})
		return err
	}, key)
}

func same(got any, wanted string) error {
	if got != wanted {
		return fmt.Errorf("got %v, wanted %s", got, wanted)
	}
	return nil
}

func check(part string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", part, err)
		os.Exit(1)
	}
	fmt.Println(part)
}
