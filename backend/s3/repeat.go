package s3

import (
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// repeat says when the SDK may send a request again.
type repeat uint8

const (
	// repeatRefused: only when the store certainly did nothing and says that it is temporary.
	repeatRefused repeat = iota
	// repeatHarmless: also when the outcome is not known, as it does not matter.
	repeatHarmless
	// repeatNever: not at all (but for a wrong clock, which the SDK corrects).
	repeatNever
	repeatEnd
)

// retryers makes one retryer for each policy. There is no shared budget of repeats: it would
// make requests fail at once, without waiting, after others have failed.
func retryers(attempts int) [repeatEnd]aws.Retryer {
	return [repeatEnd]aws.Retryer{
		repeatRefused:  newRetryer(attempts, outcomeRefused),
		repeatHarmless: newRetryer(attempts, outcomeRefused, outcomeLost),
		repeatNever:    newRetryer(attempts),
	}
}

func newRetryer(attempts int, repeatable ...outcome) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(backoff)
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{},
			retry.RetryableError{}, // the SDK's clock correction
			retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
				got := examine(err).outcome()
				for _, o := range repeatable {
					if got == o {
						return aws.TrueTernary
					}
				}
				return aws.FalseTernary
			}),
		}
	})
}

// repeatAtOnce is how long refusals that come at once are repeated, whatever Config.RepeatFor is. A request that is not answered
// at all takes longer than half of Config.FirstByteTimeout.
const repeatAtOnce = 5 * time.Second

// lastRepeat is when a request that begins now is sent for the last time; zero: no matter when.
func (s *Store) lastRepeat() time.Time {
	if s.lasts == nil {
		return time.Time{}
	}
	return time.Now().Add(max(s.lasts(), min(repeatAtOnce, s.first/2)))
}

// limited is a retryer of one request, which is not repeated after a time.
type limited struct {
	aws.Retryer
	last time.Time // zero: never too late
}

// IsErrorRetryable implements aws.Retryer.
func (l limited) IsErrorRetryable(err error) bool {
	return (l.last.IsZero() || time.Now().Before(l.last)) && l.Retryer.IsErrorRetryable(err)
}

// backoff returns a pause that grows from about 0.1 s to about 5 s.
func backoff(attempt int, _ error) (time.Duration, error) {
	d := min(100*time.Millisecond<<min(max(attempt-1, 0), 6), 5*time.Second)
	return d/2 + rand.N(d), nil
}
