# language: en
@shop
Feature: Checkout
  Customers pay for what is in the cart.

  Background: a customer
    Given a customer with the items
      | item  | price |
      | mug   | 7     |
    And an empty cart

  @CHK-7 @critical
  Scenario: Pay by card
    Given a valid card
    When the customer pays with
      """json
      { "card": "4111", "amount": 7 }
      """
    Then the order is confirmed
    And an email is sent

  Rule: vouchers are used once

    @priority:low
    Scenario: CHK-8: Use a voucher twice
      Given a used voucher
      When the customer enters the voucher
      * the customer confirms
      Then "Voucher already used" is shown
