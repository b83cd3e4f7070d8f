package jose

import (
	"math"
	"strconv"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

// NumericDate reads RFC 7519 section 2, with a fraction or an exponent if it has
// one, from 1970 to 9999: what is beyond is an overflow or a mistake in units.
func NumericDate(val strictjson.Value) (time.Time, bool) {
	if !val.IsNumber() {
		return time.Time{}, false
	}
	const last = 253402300799
	if sec, err := strconv.ParseUint(string(val), 10, 64); err == nil {
		return time.Unix(int64(min(sec, last+1)), 0), sec <= last
	}
	f, err := strconv.ParseFloat(string(val), 64)
	if err != nil || f < 0 || f > last {
		return time.Time{}, false
	}
	sec, frac := math.Modf(f)
	return time.Unix(int64(sec), int64(frac*1e9)), true
}
