// SPDX-License-Identifier: Apache-2.0

// Verifies one delivery as CGI hands it over; see ../README.md.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	body, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	secret, verify := os.Getenv("WEBHOOK_SECRET"), Verify
	if strings.HasPrefix(secret, "whpk_") {
		verify = VerifyV1a
	}
	if !verify(secret, os.Getenv("HTTP_WEBHOOK_ID"), os.Getenv("HTTP_WEBHOOK_TIMESTAMP"),
		os.Getenv("HTTP_WEBHOOK_SIGNATURE"), body) {
		fmt.Println("refused")
		os.Exit(1)
	}
	fmt.Println("accepted")
}
