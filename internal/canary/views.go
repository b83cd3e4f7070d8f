package canary

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	"strconv"
	"strings"
)

// depth is how often something may be encoded and still be found: a claim in a
// token, in a URL, in JSON.
const depth = 3

// views returns text, and all that it may stand for.
func views(text string) []string {
	all, from := []string{text}, 0
	seen := map[string]bool{text: true}
	for range depth {
		to := len(all)
		for _, view := range all[from:to] {
			for _, decode := range []func(string) []string{unescaped, fromBase64, fromHex, fromDecimal} {
				for _, decoded := range decode(view) {
					if len(decoded) >= least && !seen[decoded] {
						seen[decoded] = true
						all = append(all, decoded)
					}
				}
			}
		}
		from = to
	}
	return all
}

var (
	percent   = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	backslash = regexp.MustCompile(`\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|["'\\/])`)
)

// unescaped is text without the escapes of URLs, forms, HTML, and JSON or Go.
func unescaped(text string) []string {
	return []string{
		fromPercent(text),
		fromPercent(strings.ReplaceAll(text, "+", " ")),
		html.UnescapeString(text),
		backslash.ReplaceAllStringFunc(text, func(escape string) string {
			switch escape[1] {
			case 'u':
				code, _ := strconv.ParseUint(escape[2:], 16, 16)
				return string(rune(code))
			case 'x':
				return char(escape[2:])
			default:
				return escape[1:]
			}
		}),
	}
}

func fromPercent(text string) string {
	return percent.ReplaceAllStringFunc(text, func(escape string) string { return char(escape[1:]) })
}

func char(digits string) string {
	b, _ := hex.DecodeString(digits)
	return string(b)
}

var base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)

// fromBase64 takes runs of the letters of base64, of either alphabet. What is within
// something longer does not begin where four letters begin.
func fromBase64(text string) []string {
	var decoded []string
	for _, run := range base64Run.FindAllString(text, -1) {
		run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
		for shift := range 4 {
			part := run[shift:]
			if len(part)%4 == 1 {
				part = part[:len(part)-1]
			}
			if b, err := base64.RawStdEncoding.DecodeString(part); err == nil {
				decoded = append(decoded, string(b))
			}
		}
	}
	return decoded
}

var (
	hexRun    = regexp.MustCompile(`(?:(?:0x)?[0-9A-Fa-f]{2}[ ,:]{0,2}){6,}`)
	hexFiller = strings.NewReplacer("0x", "", " ", "", ",", "", ":", "")
)

// fromHex takes hexadecimal digits, as %x, % x and %#v write them.
func fromHex(text string) []string {
	var decoded []string
	for _, run := range hexRun.FindAllString(text, -1) {
		run = hexFiller.Replace(run)
		for shift := range 2 {
			part := run[shift:]
			if b, err := hex.DecodeString(part[:len(part)/2*2]); err == nil {
				decoded = append(decoded, string(b))
			}
		}
	}
	return decoded
}

var (
	decimalRun = regexp.MustCompile(`(?:[0-9]{1,3}[ ,]{1,2}){5,}[0-9]{1,3}`)
	decimals   = regexp.MustCompile(`[0-9]+`)
)

// fromDecimal takes bytes as %v and %d write a slice of them.
func fromDecimal(text string) []string {
	runs := decimalRun.FindAllString(text, -1)
	decoded := make([]string, 0, len(runs))
	for _, run := range runs {
		numbers := decimals.FindAllString(run, -1)
		b := make([]byte, 0, len(numbers))
		for _, number := range numbers {
			n, _ := strconv.Atoi(number)
			b = append(b, byte(n)) //nolint:gosec // what is no byte is no secret
		}
		decoded = append(decoded, string(b))
	}
	return decoded
}
