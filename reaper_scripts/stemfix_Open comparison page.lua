-- @description stemfix: Open comparison page
-- @version 0.1.0
-- @author stemfix
-- @about Opens the last result of this project.
-- @noindex

local here = select (2, reaper.get_action_context ()):match ("^(.*[/\\])")
local chunk, why = loadfile (here .. "stemfix/lib.lua")
if chunk then
  chunk (here .. "stemfix/").run ("open_comparison")
else
  local remedy = "Run: stemfix daw install reaper"
  reaper.ShowMessageBox ("stemfix can't be loaded: " .. tostring (why) .. ". " .. remedy, "stemfix", 0)
end
