-- @description stemfix: Enhance selected item
-- @version 0.1.0
-- @author stemfix
-- @about
--   # stemfix
--   Separates the selected audio items into stems, enhances each, and puts them below the original.
--   It needs stemfix itself: see its manual, then run `stemfix daw install reaper`.
-- @provides
--   [main] stemfix_*.lua
--   [nomain] stemfix/*.lua

local here = select (2, reaper.get_action_context ()):match ("^(.*[/\\])")
local chunk, why = loadfile (here .. "stemfix/lib.lua")
if chunk then
  chunk (here .. "stemfix/").run ("enhance")
else
  local remedy = "Run: stemfix daw install reaper"
  reaper.ShowMessageBox ("stemfix can't be loaded: " .. tostring (why) .. ". " .. remedy, "stemfix", 0)
end
