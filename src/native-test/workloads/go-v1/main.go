// What runs in a pod: the AWS SDK for Go v1 and an environment. Protocol: ../README.md
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
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

func fresh() (*credentials.Credentials, reply) {
	start := time.Now()
	application, err := session.NewSession()
	if err != nil {
		return nil, failure(err, start)
	}
	return application.Config.Credentials, resolve(application.Config.Credentials, start)
}

func resolve(provider *credentials.Credentials, start time.Time) reply {
	value, err := provider.Get()
	if err != nil {
		return failure(err, start)
	}
	answer := reply{Ok: true, Millis: time.Since(start).Milliseconds(), AccessKeyID: value.AccessKeyID}
	if expires, err := provider.ExpiresAt(); err == nil {
		answer.Expiration = expires.UTC().Format(time.RFC3339)
	}
	return answer
}

func main() {
	var living *credentials.Credentials
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
		default:
			panic(lines.Text())
		}
	}
}
