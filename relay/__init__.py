"""The Mixpay relay daemon. It imports `mixpay`, never the other way."""
