package config

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"

	"github.com/BurntSushi/toml"
)

//go:embed prices.toml
var pricesFile string

// price is one [[price]], in dollars for a million tokens at the normal price.
type price struct {
	Model  string
	Input  float64
	Output float64
}

var snapshot = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}$`)

// Price returns what a million tokens of the model cost in a batch, in micro-dollars: half of the normal price. A dated
// snapshot (gpt-5-mini-2025-08-07) without a price of its own costs what its model costs.
func (c *Config) Price(model string) (in, out int64, known bool) {
	p, ok := c.prices[model]
	if !ok {
		p, ok = c.prices[snapshot.ReplaceAllString(model, "")]
	}
	if !ok {
		return 0, 0, false
	}
	return batchPrice(p.Input), batchPrice(p.Output), true
}

// RequestPrices returns what one request of each upstream costs, in micro-dollars; those that cost nothing are left out.
func (c *Config) RequestPrices() map[string]int64 {
	out := map[string]int64{}
	for up, thousand := range map[string]float64{"instagram": c.Instagram.Price, "naver": c.Naver.Price, "kakao": c.Kakao.Price} {
		if thousand > 0 {
			out[up] = MicroUSD(thousand / 1000)
		}
	}
	return out
}

func batchPrice(dollars float64) int64 { return int64(math.Round(dollars * 1e6 / 2)) }

func embeddedPrices() map[string]price {
	var list struct {
		Price []price `toml:"price"`
	}
	if _, err := toml.Decode(pricesFile, &list); err != nil {
		panic(fmt.Sprintf("config: prices.toml: %v", err))
	}
	out := make(map[string]price, len(list.Price))
	for _, p := range list.Price {
		out[p.Model] = p
	}
	return out
}
