package contract_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/contract"
)

func TestCredentialMessages(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"assertion":"a","name":"slack","server":"chat"}`:           true,
		`{"assertion":"a","name":"Slack"}`:                           false,
		`{"assertion":"a","name":"../slack"}`:                        false,
		`{"assertion":"a","name":""}`:                                false,
		`{"assertion":"a","name":"` + strings.Repeat("a", 33) + `"}`: false,
		`{"assertion":"a","name":"slack","server":"a\nb"}`:           false,
		`[]`: false,
	} {
		if _, err := contract.ReadCredentialRequest(strings.NewReader(text)); (err == nil) != ok {
			t.Errorf("request %s: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{
		`{"secret":"s"}`: true,
		`{"missing":{"label":"Slack","connect":"https://g"}}`: true,
		`{}`: false,
		`{"secret":"s","missing":{"label":"Slack"}}`:                          false,
		`{"secret":"a\nb"}`:                                                   false,
		`{"secret":"` + strings.Repeat("s", contract.MaxSecretBytes+1) + `"}`: false,
		`{"secret":["hush"]}`:                                                 false,
	} {
		_, err := contract.ReadCredentialAnswer(strings.NewReader(text))
		if (err == nil) != ok {
			t.Errorf("answer %.80s: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error quotes the secret: %v", err)
		}
	}
}

func TestASecretPrintedByMistakeIsNot(t *testing.T) {
	a := contract.CredentialAnswer{Secret: "hush"}
	if said := fmt.Sprintf("%v %+v %#v %s", a, a, a, a); strings.Contains(said, "hush") {
		t.Errorf("it was printed: %s", said)
	}
}
