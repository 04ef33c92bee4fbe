// What runs in a pod: the AWS SDK for Go v2 and an environment. Protocol: ../README.md
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

type reply struct {
	Ok          bool   `json:"ok"`
	Millis      int64  `json:"millis"`
	AccessKeyID string `json:"accessKeyId,omitempty"`
	Expiration  string `json:"expiration,omitempty"`
	Error       string `json:"error,omitempty"`
}

func failure(err error, start time.Time) reply {
	return reply{Millis: time.Since(start).Milliseconds(), Error: err.Error()}
}

func fresh() (aws.Config, reply) {
	start := time.Now()
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return cfg, failure(err, start)
	}
	return cfg, resolve(cfg, start)
}

func resolve(cfg aws.Config, start time.Time) reply {
	credentials, err := cfg.Credentials.Retrieve(context.Background())
	if err != nil {
		return failure(err, start)
	}
	return reply{Ok: true, Millis: time.Since(start).Milliseconds(), AccessKeyID: credentials.AccessKeyID,
		Expiration: credentials.Expires.UTC().Format(time.RFC3339)}
}

func call(cfg aws.Config, service string) reply {
	start := time.Now()
	client := sts.NewFromConfig(cfg, func(options *sts.Options) { options.BaseEndpoint = &service })
	_, err := client.GetCallerIdentity(context.Background(), nil)
	var refusal smithy.APIError
	if !errors.As(err, &refusal) {
		return failure(err, start)
	}
	return reply{Ok: true, Millis: time.Since(start).Milliseconds()}
}

func main() {
	var living aws.Config
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "fresh":
			var answer reply
			living, answer = fresh()
			out.Encode(answer)
		case "again":
			out.Encode(resolve(living, time.Now()))
		case "burst":
			count, _ := strconv.Atoi(words[1])
			answers := make(chan reply, count)
			for range count {
				go func() {
					_, answer := fresh()
					answers <- answer
				}()
			}
			for range count {
				out.Encode(<-answers)
			}
		case "call":
			out.Encode(call(living, words[1]))
		default:
			panic(lines.Text())
		}
	}
}
